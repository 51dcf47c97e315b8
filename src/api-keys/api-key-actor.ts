import type { Actor } from '../audit/index.ts';
import type { Caller } from './api-key.ts';

/** Who makes or changes keys: whoever calls, or the operator, who works on the database and needs no key. */
export interface ApiKeyActor extends Actor {
  readonly caller?: Caller;
}
