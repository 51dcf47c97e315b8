import { LRUCache } from 'lru-cache';
import { describeCause } from '../../describe-cause.ts';
import { idOf } from '../../type-id.ts';
import type { Target } from '../delivery/target.ts';
import { EncryptionKeyMissing } from './encryption.ts';

/** Where faults are told. */
interface FaultLog {
  error(facts: object, text: string): void;
}

/** Faults that are remembered as told. */
const toldMax = 10_000;

/**
 * Tells why nothing can be signed for an endpoint, once, however often that is read again: of a key that this process lacks
 * once for all of its endpoints; of what is damaged once for each endpoint, until it has other secrets.
 */
export function createSigningFaults(log: FaultLog): (target: Target, error: unknown) => void {
  const told = new LRUCache<string, true>({ max: toldMax });

  function tellOnce(fault: string, facts: object, text: string): void {
    if (told.get(fault) === true) return;
    told.set(fault, true);
    log.error(facts, text);
  }

  return (target, error) => {
    const endpoint = idOf('whe', target.id);
    if (error instanceof EncryptionKeyMissing && error.keyName !== undefined) {
      const { keyName } = error;
      const text =
        'nothing is sent by this process to webhook endpoints whose secrets are by a key that it lacks';
      tellOnce(keyName, { key: keyName, endpoint }, text);
      return;
    }
    const secrets = target.secrets.map(({ id }) => id).join(' ');
    tellOnce(
      `${target.id} ${secrets}`,
      { endpoint, cause: describeCause(error) },
      'nothing is sent to a webhook endpoint by this process, which cannot sign for it',
    );
  };
}
