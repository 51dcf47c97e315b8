export {
  type ApiKey,
  type Caller,
  type Grant,
  hasScope,
  mayUseType,
  mayUseWorkspace,
} from './api-key.ts';
export { ApiKeyContradictory, ApiKeyNotFound, ScopeMissing } from './api-key-errors.ts';
export { apiKeyRefusals } from './api-key-refusals.ts';
export { type ApiKeyStore, createApiKeyStore } from './api-key-store.ts';
export { type ApiKeysFeature, createApiKeysFeature } from './api-keys.feature.ts';
export { type Authenticator, createAuthenticator } from './authenticator.ts';
export {
  assertMayEraseAll,
  assertMayUseType,
  assertMayUseWorkspace,
  auditReaders,
  callerKey,
  getActor,
  getCaller,
  readablePatterns,
} from './caller-key.ts';
export { type IssuedApiKey, type IssueOptions, issueApiKey } from './issue-api-key.ts';
export { createLastUsed, type LastUsed } from './last-used.ts';
export { allScopes, scopes } from './scopes.ts';
export { hashSecret, hintOf, newSecret } from './secret.ts';
export { createStreamWatch, type StreamWatch } from './stream-watch.ts';
