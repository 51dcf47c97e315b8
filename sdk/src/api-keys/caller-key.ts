import type { RequestOptions } from '../options.ts';
import type { ApiKey } from './api-key.ts';
import { apiKeyFromMessage } from './api-key-messages.ts';
import type { ApiKeysDeps } from './api-keys.ts';

/** The API key of this client: `harbor.caller`. */
export class CallerKey {
  readonly #deps: ApiKeysDeps;

  /** @internal */
  constructor(deps: ApiKeysDeps) {
    this.#deps = deps;
  }

  /**
   * Who am I, and what may I do. Needs no scope. Rejects as the calls of `harbor.events` do: with AuthenticationError for a
   * key that is unknown, revoked or expired.
   */
  async retrieve(options: RequestOptions = {}): Promise<ApiKey> {
    const { client, call } = this.#deps;
    const answer = await call((attempt) => client.retrieveCaller({}, attempt), options);
    return apiKeyFromMessage(answer.apiKey);
  }
}
