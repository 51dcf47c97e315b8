/** The header `authorization: Bearer hbr_…` is missing. */
export class ApiKeyMissing extends Error {
  override readonly name = 'ApiKeyMissing';
  constructor() {
    super('an API key is needed: send the header "authorization: Bearer hbr_…"');
  }
}

/** Malformed, unknown, revoked or expired; nobody is told which. */
export class ApiKeyInvalid extends Error {
  override readonly name = 'ApiKeyInvalid';
  constructor() {
    super('the API key is not valid: it is malformed, unknown, revoked or expired');
  }
}

/** More calls wait for the look-up of a key than the process takes on. */
export class ApiKeyLookUpsFull extends Error {
  override readonly name = 'ApiKeyLookUpsFull';
  constructor() {
    super('too many API keys are being looked up; try again later');
  }
}

export class ScopeMissing extends Error {
  override readonly name = 'ScopeMissing';
  readonly scope: string;
  constructor(scope: string) {
    super(`the API key lacks the scope ${scope}`);
    this.scope = scope;
  }
}

export class WorkspaceNotAllowed extends Error {
  override readonly name = 'WorkspaceNotAllowed';
  readonly workspaceId: string;
  constructor(workspaceId: string) {
    super(`the API key is restricted to other workspaces than ${workspaceId}`);
    this.workspaceId = workspaceId;
  }
}

export class EventTypeNotAllowed extends Error {
  override readonly name = 'EventTypeNotAllowed';
  readonly type: string;
  constructor(type: string) {
    super(`the API key is restricted to other event types than ${JSON.stringify(type)}`);
    this.type = type;
  }
}

/** The rules that bind fields together, or to what is stored, which no annotation can say. */
export class ApiKeyContradictory extends Error {
  override readonly name = 'ApiKeyContradictory';
  readonly field: string;
  readonly rule: string;
  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

export class ApiKeyExceedsCaller extends Error {
  override readonly name = 'ApiKeyExceedsCaller';
  readonly exceeds: string;
  constructor(exceeds: string) {
    super(`a key cannot make a key that may do more than itself: see ${exceeds}`);
    this.exceeds = exceeds;
  }
}

export class ApiKeyNotFound extends Error {
  override readonly name = 'ApiKeyNotFound';
  readonly apiKeyId: string;
  constructor(apiKeyId: string) {
    super(`no API key ${apiKeyId}`);
    this.apiKeyId = apiKeyId;
  }
}

/** The key was revoked or has expired: there is nothing to change about it any more. */
export class ApiKeyNotActive extends Error {
  override readonly name = 'ApiKeyNotActive';
  constructor(apiKeyId: string) {
    super(`the API key ${apiKeyId} was revoked or has expired, and cannot be changed`);
  }
}

/** As many old secrets of the key are in their overlap as there may be. */
export class OldSecretsFull extends Error {
  override readonly name = 'OldSecretsFull';
  readonly oldSecretsMax: number;
  constructor(oldSecretsMax: number) {
    super(
      `${oldSecretsMax} old secrets of the API key are still in their overlap, which is as many as there may be: ` +
        'rotate it without an overlap, or later',
    );
    this.oldSecretsMax = oldSecretsMax;
  }
}

/** The same caller has used the request id for another key, less than 24 hours ago. */
export class RequestIdReused extends Error {
  override readonly name = 'RequestIdReused';
  readonly apiKeyId: string;
  constructor(apiKeyId: string) {
    super(
      `the request_id was used to create another API key, ${apiKeyId}; use a new one for a new key`,
    );
    this.apiKeyId = apiKeyId;
  }
}
