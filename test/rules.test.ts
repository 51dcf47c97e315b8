import { glob } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type DescField, type DescFile, getOption, toJson } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  FieldRulesSchema,
  field as fieldRules,
} from '../gen/typescript/buf/validate/validate_pb.ts';
import { rule } from '../gen/typescript/harbor/rules/v1/rule_pb.ts';
import { connectPost, refusalIn } from './support/connect-post.ts';
import { startTestService, type TestService } from './support/test-service.ts';

const root = resolve(import.meta.dirname, '..');

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

/** The files of the contract, and of each its messages and services. */
async function readContract() {
  const types = [];
  for await (const path of glob('gen/typescript/harbor/**/*_pb.ts', { cwd: root })) {
    const exported: Record<string, unknown> = await import(resolve(root, path));
    const [, file] = Object.entries(exported).find(([name]) => name.startsWith('file_')) ?? [];
    types.push(...nestedTypes(file as DescFile));
  }
  return {
    messages: types.filter((type) => type.kind === 'message'),
    services: types.filter((type) => type.kind === 'service'),
  };
}

/** Also one of items, names and values. */
function hasPattern(field: DescField): boolean {
  const rules = toJson(FieldRulesSchema, getOption(field, fieldRules));
  return JSON.stringify(rules).includes('"pattern"');
}

const nameOf = ({ parent, name }: DescField) => `${parent.typeName}.${name}`;

test('every field with a pattern has a sentence for people beside it', async () => {
  const { messages } = await readContract();
  const withPattern = messages.flatMap(({ fields }) => fields).filter(hasPattern);
  expect(withPattern.length).toBeGreaterThan(15);
  const silent = withPattern.filter((field) => !/^must [^^]*[^.]$/.test(getOption(field, rule)));
  expect(silent.map(nameOf)).toEqual([]);
});

test('whoever breaks a pattern is told the sentence, not the pattern', async () => {
  const { services } = await readContract();
  const cases = services
    .flatMap(({ methods }) => methods)
    .filter(({ methodKind }) => methodKind === 'unary')
    .flatMap((method) => method.input.fields.map((field) => ({ method, field })))
    .filter(({ field }) => hasPattern(field) && field.fieldKind !== 'map');
  expect(cases.length).toBeGreaterThan(9);
  const secretKey = await service.issueKey({ kind: 'secret', scopes: ['all'] });
  for (const { method, field } of cases) {
    const isList = field.fieldKind === 'list';
    const takesPayload = method.input.fields.some(({ name }) => name === 'payload');
    const broken = { [field.name]: isList ? ['\n'] : '\n' };
    const request = takesPayload ? { payload: {}, ...broken } : broken;
    const path = `/${method.parent.typeName}/${method.name}`;
    const { message, fields } = await refusalIn(
      await connectPost({ ...service, secretKey }, path, JSON.stringify(request)),
    );
    const told = isList ? `${field.name}[0]` : field.name;
    expect([nameOf(field), fields]).toEqual([nameOf(field), expect.arrayContaining([told])]);
    expect(message).toContain(`${told}: ${getOption(field, rule)}`);
  }
});
