import {
  create,
  type DescField,
  type DescMessage,
  type DescService,
  getOption,
  type Message,
} from '@bufbuild/protobuf';
import {
  createValidator,
  ValidationError,
  type Validator,
  Violation,
} from '@bufbuild/protovalidate';
import { field as fieldRules } from '../../../gen/typescript/buf/validate/validate_pb.ts';
import { withFastTimes } from './time-bounds.ts';

/**
 * Checks messages against the bounds that the contract declares; one for all faces of the service.
 *
 * @param services the rules of their requests are compiled here; see `compileRules`.
 */
export function createContractValidator(services: readonly DescService[] = []): Validator {
  // The contract's patterns are constants that need no protection from themselves: the platform's RegExp
  // matches them in a twentieth of RE2's time.
  const compiled = new Map<string, RegExp>();
  const complete = createValidator({
    regexMatch(pattern, text) {
      let expression = compiled.get(pattern);
      if (expression === undefined) {
        expression = new RegExp(pattern, 'u');
        compiled.set(pattern, expression);
      }
      return expression.test(text);
    },
  });
  const sizeRules = new Map<DescMessage, SizeRule[]>();
  const rulesOf = (schema: DescMessage) => {
    const rules = sizeRules.get(schema) ?? sizeRulesOf(schema);
    sizeRules.set(schema, rules);
    return rules;
  };
  compileRules(complete, services);
  const validator = withFastTimes(complete);
  return {
    validate(schema, message) {
      const tooLong = findTooMany(rulesOf(schema), message);
      if (tooLong === undefined) return validator.validate(schema, message);
      const violations = [tooLong];
      const error = new ValidationError(violations);
      return { kind: 'invalid', message, error, violations };
    },
  };
}

/**
 * Compiles the rules of all requests of the services: it takes 100 ms and 40 MB, which the first call of
 * each kind would wait for.
 *
 * @throws the error of a rule that cannot be compiled.
 */
export function compileRules(validator: Validator, services: readonly DescService[]): void {
  for (const { methods } of services) {
    for (const { input } of methods) {
      const result = validator.validate(input, create(input));
      // That an empty request is not valid is as it should be.
      if (result.kind === 'error') throw result.error;
    }
  }
}

/** A list or map that a message may hold, and how many items or pairs it takes. */
interface SizeRule {
  readonly field: DescField;
  readonly sizeMax: number;
  readonly ruleId: string;
  readonly noun: string;
}

function sizeRulesOf(schema: DescMessage): SizeRule[] {
  return schema.fields.flatMap((field) => {
    const { type } = getOption(field, fieldRules);
    const rule =
      type.case === 'repeated'
        ? { ruleId: 'repeated.max_items', sizeMax: Number(type.value.maxItems), noun: 'items' }
        : type.case === 'map'
          ? { ruleId: 'map.max_pairs', sizeMax: Number(type.value.maxPairs), noun: 'pairs' }
          : undefined;
    return rule !== undefined && rule.sizeMax > 0 ? [{ field, ...rule }] : [];
  });
}

/**
 * A list or map with more in it than its rule allows, which is refused before that is looked at: a request has
 * room for a million items, and the violations of 900,000 took 20 s and 1 GB.
 */
function findTooMany(rules: readonly SizeRule[], message: Message): Violation | undefined {
  for (const { field, sizeMax, ruleId, noun } of rules) {
    const held = (message as unknown as Record<string, object>)[field.localName] ?? [];
    const size = Array.isArray(held) ? held.length : Object.keys(held).length;
    if (size <= sizeMax) continue;
    const text = `must have at most ${sizeMax} ${noun}, not ${size}`;
    return new Violation(text, ruleId, [field], [], false);
  }
  return undefined;
}
