import type { CreateOnceOptions } from '../create-once.ts';
import { toSafeInteger } from '../events/from-message.ts';
import { requireString } from '../events/request-fields.ts';
import type { Names } from '../known-names.ts';
import { type ItemList, listPages, type PageQuery, pageQueryNames } from '../list-pages.ts';
import type { RequestOptions } from '../options.ts';
import type { WebhooksDeps } from '../webhook-endpoints/webhook-endpoints.ts';
import { createReplay, type NewReplay, replayToMessage } from './create-replay.ts';
import { type Replay, replayFromMessage } from './replay-messages.ts';

/** Which replays to list. */
export interface ReplayQuery extends PageQuery {
  /** The endpoint: whe_… */
  readonly endpointId: string;
}

const replayQueryNames = {
  endpointId: true,
  ...pageQueryNames,
} satisfies Names<ReplayQuery>;

/** What a replay would send. */
export interface ReplayCount {
  /** Events in the range that match. */
  readonly matching: number;
  /** The count ended early: there are at least so many. */
  readonly isAtLeast: boolean;
}

/**
 * Sends past ranges of the log to endpoints again, beside what they are sent anyway: `harbor.replays`. Rejects as
 * `harbor.webhookEndpoints` does; with NotFoundError for a replay that does not exist, or is of an endpoint that the API key
 * does not cover.
 */
export class Replays {
  readonly #deps: WebhooksDeps;

  /** @internal */
  constructor(deps: WebhooksDeps) {
    this.#deps = deps;
  }

  /**
   * Begins a replay, once whatever happens to the attempts; it goes on by itself, over restarts of the service. Needs
   * events:read besides. Rejects with InvalidRequestError for a range that the log does not have, and where 10 replays of the
   * workspace run or are paused.
   */
  create(replay: NewReplay, options: CreateOnceOptions = {}): Promise<Replay> {
    return createReplay(this.#deps, replay, options);
  }

  /** Counts what a replay would send, and sends nothing. Needs events:read besides. */
  async count(replay: NewReplay, options: RequestOptions = {}): Promise<ReplayCount> {
    const { client, call } = this.#deps;
    const request = { ...replayToMessage(replay), dryRun: true };
    const answer = await call((attempt) => client.createReplay(request, attempt), options);
    return { matching: toSafeInteger(answer.matching), isAtLeast: answer.isAtLeast };
  }

  /** The replay, and how far it is. */
  async retrieve(id: string, options: RequestOptions = {}): Promise<Replay> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.retrieveReplay(request, attempt), options);
    return replayFromMessage(answer.replay);
  }

  /** Lists the replays of an endpoint, newest first. */
  list(query: ReplayQuery, options: RequestOptions = {}): ItemList<Replay> {
    const { client, call } = this.#deps;
    return listPages(
      {
        call,
        fields: replayQueryNames,
        send: (asked: ReplayQuery, page) => {
          const request = { ...page, endpointId: requireString('endpointId', asked.endpointId) };
          return (attempt) => client.listReplays(request, attempt);
        },
        itemsOf: ({ replays }) => replays.map(replayFromMessage),
      },
      query,
      options,
    );
  }

  /** Rejects with a HarborError of the reason REPLAY_ENDED when it is done or cancelled; so does `resume`. */
  async pause(id: string, options: RequestOptions = {}): Promise<Replay> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.pauseReplay(request, attempt), options);
    return replayFromMessage(answer.replay);
  }

  async resume(id: string, options: RequestOptions = {}): Promise<Replay> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.resumeReplay(request, attempt), options);
    return replayFromMessage(answer.replay);
  }

  /** Ends it for good; what is being sent then may be delivered. */
  async cancel(id: string, options: RequestOptions = {}): Promise<Replay> {
    const { client, call } = this.#deps;
    const request = { id: requireString('id', id) };
    const answer = await call((attempt) => client.cancelReplay(request, attempt), options);
    return replayFromMessage(answer.replay);
  }
}
