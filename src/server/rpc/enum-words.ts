import type { DescEnum } from '@bufbuild/protobuf';
import { ApiKeyKindSchema } from '../../../gen/typescript/harbor/api_keys/v1/api_key_pb.ts';
import { EventOrderSchema } from '../../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { DeliveryStateSchema } from '../../../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import { WebhookOrderingSchema } from '../../../gen/typescript/harbor/webhooks/v1/webhook_endpoint_pb.ts';
import { InvalidField } from '../errors/request-errors.ts';
import { findJson } from './find-json.ts';

/** The fields of requests that are enums; a test asks the contract for them. */
const enums = new Map<string, DescEnum>([
  ['order', EventOrderSchema],
  ['ordering', WebhookOrderingSchema],
  ['state', DeliveryStateSchema],
  ['kind', ApiKeyKindSchema],
]);

const member = /"(order|ordering|state|kind)"\s*:\s*"([^"]*)"/g;

/**
 * Refuses a request in JSON for a word that its enum does not have: the codec would say neither the field nor the words.
 * Headers of webhooks may be called so, too: where a text looks wrong, it is parsed to see where it stands.
 *
 * @throws InvalidField
 */
export function checkEnumWords(json: string): void {
  let isSuspicious = false;
  for (const [, name = '', word = ''] of json.matchAll(member)) {
    if (!isWord(enums.get(name), word)) isSuspicious = true;
  }
  if (!isSuspicious) return;
  const request = findJson(json) as Record<string, unknown> | null | undefined;
  for (const [name, desc] of enums) {
    const word = request?.[name];
    if (typeof word !== 'string' || isWord(desc, word)) continue;
    const words = desc.values.filter(({ number }) => number !== 0).map((value) => value.name);
    throw new InvalidField(name, `must be one of ${words.join(', ')}`);
  }
}

function isWord(desc: DescEnum | undefined, word: string): boolean {
  return desc?.values.some(({ name }) => name === word) === true;
}
