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
