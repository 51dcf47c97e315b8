import { endOfScalar, endOfString, skipBetween, skipSpace } from './json-tokens.ts';

// biome-ignore lint/suspicious/noExplicitAny: as JSON.parse has it
type Reviver = (this: any, key: string, value: any, context?: any) => any;
export type JsonParse = (text: string, reviver?: Reviver) => unknown;

/**
 * Makes `JSON.parse` of this process read member names right, where the runtime does not: V8 12.8 and
 * later (Node 23 and later) takes a name that is written with an escape for another one that it has read
 * before in the same place of an object (nodejs/node#63785). Libraries parse by the global, so it is the
 * global that is mended, before anything from outside is read. Does nothing where there is nothing to
 * mend, and so the second time.
 */
export function mendJsonParse(): void {
  if (mistakesNames(JSON.parse)) JSON.parse = createJsonParse(JSON.parse) as typeof JSON.parse;
}

/** Whether a parser takes one name for another. What V8 keeps of it is of objects that begin so. */
export function mistakesNames(parse: JsonParse): boolean {
  parse('{"read before":[],"\\\\":0}');
  return !Object.hasOwn(parse('{"read before":1,"\\"":2}') as object, '"');
}

/**
 * A parser that is like `parse`, in grammar, errors, order of members and any depth, but for names with an
 * escape: it puts these into objects itself. (Where there are any, the context of a reviver has no
 * `source`.) Its time grows with the length of the text and no faster.
 */
export function createJsonParse(parse: JsonParse): JsonParse {
  return (given, reviver) => {
    const text = typeof given === 'string' ? given : `${given}`;
    if (!hasEscapedName(text)) return parse(text, reviver);
    // For the errors, and so that what is read below is JSON.
    parse(text);
    const value = readJson(parse, text);
    return typeof reviver === 'function' ? revive({ '': value }, '', reviver) : value;
  };
}

/** Most texts have no escape at all, and that is known at once. */
function hasEscapedName(text: string): boolean {
  let backslash = text.indexOf('\\');
  for (let open = text.indexOf('"'); open !== -1 && backslash !== -1; ) {
    const end = endOfString(text, open);
    if (backslash < open) backslash = text.indexOf('\\', open);
    if (backslash !== -1 && backslash < end && text.charAt(skipSpace(text, end)) === ':')
      return true;
    open = text.indexOf('"', end);
  }
  return false;
}

type Container = Record<string, unknown> | unknown[];

/** Reads what is known to be JSON: its scalars by `parse`, its levels without recursion. */
function readJson(parse: JsonParse, text: string): unknown {
  const root: unknown[] = [];
  const outer: Container[] = [];
  let inner: Container = root;
  let name: string | undefined;
  const enter = (container: Container) => {
    add(inner, name, container);
    outer.push(inner);
    inner = container;
    name = undefined;
  };
  for (let place = skipBetween(text, 0); place < text.length; ) {
    const char = text.charAt(place);
    let end = place + 1;
    if (char === '{') enter({});
    else if (char === '[') enter([]);
    else if (char === '}' || char === ']') inner = outer.pop() as Container;
    else {
      end = endOfScalar(text, place);
      const value = parse(text.slice(place, end));
      const isName = name === undefined && !Array.isArray(inner);
      if (!isName) add(inner, name, value);
      name = isName ? (value as string) : undefined;
    }
    place = skipBetween(text, end);
  }
  return root[0];
}

function add(container: Container, name: string | undefined, value: unknown): void {
  if (Array.isArray(container)) container.push(value);
  else if (name !== '__proto__') container[name as string] = value;
  else defineMember(container, name, value);
}

function defineMember(container: object, name: string, value: unknown): void {
  const attributes = { writable: true, enumerable: true, configurable: true };
  Reflect.defineProperty(container, name, { value, ...attributes });
}

/** What JSON.parse does with a reviver, from the inside out. */
function revive(holder: object, key: string, reviver: Reviver): unknown {
  const value = (holder as Record<string, unknown>)[key];
  if (typeof value === 'object' && value !== null) {
    for (const name of Object.keys(value)) {
      const member = revive(value, name, reviver);
      if (member === undefined) Reflect.deleteProperty(value, name);
      else defineMember(value, name, member);
    }
  }
  return reviver.call(holder, key, value, {});
}
