/** No endpoint has the id, or the caller's key does not cover it: the two must look the same. */
export class WebhookEndpointNotFound extends Error {
  override readonly name = 'WebhookEndpointNotFound';
  readonly endpointId: string;

  constructor(endpointId: string) {
    super(`no webhook endpoint ${endpointId}`);
    this.endpointId = endpointId;
  }
}

/** A workspace has as many endpoints as there may be. */
export class WebhookEndpointsFull extends Error {
  override readonly name = 'WebhookEndpointsFull';
  readonly endpointsMax: number;

  constructor(endpointsMax: number) {
    super(
      `the workspace has ${endpointsMax} webhook endpoints, and there may be no more: delete some`,
    );
    this.endpointsMax = endpointsMax;
  }
}

/** Settings of an endpoint break a rule that no annotation can say. */
export class WebhookSettingInvalid extends Error {
  override readonly name = 'WebhookSettingInvalid';
  readonly field: string;
  readonly rule: string;

  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/** A request id was used within 24 hours to make something else. Nothing was stored. */
export class WebhookRequestIdReused extends Error {
  override readonly name = 'WebhookRequestIdReused';
  /** What it made. */
  readonly id: string;

  constructor(id: string) {
    super(`the request_id was used to create ${id}; use a new one for a new request`);
    this.id = id;
  }
}

/** As many old secrets of an endpoint are still in their overlap as there may be. */
export class WebhookSecretsFull extends Error {
  override readonly name = 'WebhookSecretsFull';
  readonly oldSecretsMax: number;

  constructor(oldSecretsMax: number) {
    super(
      `${oldSecretsMax} old secrets of the endpoint still sign; rotate it with a shorter overlap, or later`,
    );
    this.oldSecretsMax = oldSecretsMax;
  }
}

/** An endpoint has as many requests in flight, or a second, as it may. */
export class WebhookEndpointBusy extends Error {
  override readonly name = 'WebhookEndpointBusy';

  constructor(endpointId: string) {
    super(`${endpointId} has as many requests in flight, or a second, as it may; try again later`);
  }
}

/** An endpoint is paused or disabled, and is sent nothing. */
export class WebhookEndpointNotEnabled extends Error {
  override readonly name = 'WebhookEndpointNotEnabled';

  constructor(endpointId: string) {
    super(`${endpointId} is paused or disabled; resume it first`);
  }
}

/** No delivery has the id, it is kept no more, or the caller's key does not cover its endpoint. */
export class DeliveryNotFound extends Error {
  override readonly name = 'DeliveryNotFound';
  readonly deliveryId: string;

  constructor(deliveryId: string) {
    super(`no delivery ${deliveryId}`);
    this.deliveryId = deliveryId;
  }
}

/** No replay has the id, or the caller's key does not cover its endpoint. */
export class ReplayNotFound extends Error {
  override readonly name = 'ReplayNotFound';
  readonly replayId: string;

  constructor(replayId: string) {
    super(`no replay ${replayId}`);
    this.replayId = replayId;
  }
}

/** The range of a replay ends before it begins. */
export class ReplayRangeReversed extends Error {
  override readonly name = 'ReplayRangeReversed';
  readonly field = 'until_sequence';
  readonly rule = 'must not be less than after_sequence';

  constructor() {
    super('until_sequence must not be less than after_sequence');
  }
}

/** A replay is done or cancelled, and stays so. */
export class ReplayEnded extends Error {
  override readonly name = 'ReplayEnded';

  constructor(replayId: string, state: string) {
    super(`${replayId} is ${state}, and does not go on`);
  }
}

/** As many replays of a workspace run or are paused as there may be. */
export class ReplaysFull extends Error {
  override readonly name = 'ReplaysFull';
  readonly replaysMax: number;

  constructor(replaysMax: number) {
    super(
      `${replaysMax} replays of the workspace run or are paused, and there may be no more: wait, or cancel some`,
    );
    this.replaysMax = replaysMax;
  }
}
