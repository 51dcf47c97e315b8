import { InvalidField } from '../errors/request-errors.ts';
import { readParameters } from '../wire/parameters.ts';

/** The parameters that the Connect protocol gives a meaning, and what each may be. */
const rules = new Map<string, (value: string) => string | undefined>([
  ['connect', (value) => (value === 'v1' ? undefined : 'must be v1')],
  ['encoding', (value) => (/^(proto|json)$/.test(value) ? undefined : 'must be proto or json')],
  ['base64', (value) => (value === '1' ? undefined : 'must be 1, or not be there')],
  ['compression', () => undefined],
  ['message', () => undefined],
]);

/** With padding or without; `+` must be written as %2B, since it is a space in a query. */
const base64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2}(?:==)?|[\w+/-]{3}=?)?$/;

/**
 * Checks the query of a unary call by GET. Connect itself takes broken base64 for a fault of its own, and
 * skips what it does not know.
 *
 * @throws InvalidField
 */
export function checkConnectGet(query: string): void {
  const values = new Map<string, string>();
  for (const [name, value] of readParameters(query)) {
    const rule = rules.get(name);
    if (rule === undefined) continue;
    if (values.has(name)) throw new InvalidField(name, 'must not be there twice');
    const broken = rule(value);
    if (broken !== undefined) throw new InvalidField(name, broken);
    values.set(name, value);
  }
  const message = values.get('message');
  if (message === undefined) throw new InvalidField('message', 'must be there');
  if (!values.has('encoding')) throw new InvalidField('encoding', 'must be proto or json');
  if (values.has('base64') && !base64.test(message)) {
    throw new InvalidField('message', 'must be base64 as base64=1 says, with + written as %2B');
  }
}
