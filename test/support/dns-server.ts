import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';

/** Addresses, or the one name that stands for the asked one. */
export type DnsAnswer = readonly string[] | { readonly alias: string } | 'no such name' | 'silence';

export interface DnsServer {
  /** `127.0.0.1:port`, as a resolver takes it. */
  readonly address: string;
  /** Names that were asked for, with the kind of address. */
  readonly asked: readonly string[];
  /** What is answered for a name from now on; several answers are given one after the other, the last one for ever. */
  set(name: string, ...answers: readonly DnsAnswer[]): void;
  close(): Promise<void>;
}

const kinds = new Map([
  [1, 'A'],
  [28, 'AAAA'],
]);
const ofHeader = 12;

/** A name server over UDP on loopback that knows what it is told. */
export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  const known = new Map<string, DnsAnswer[]>();
  socket.on('message', (query, from) => {
    const { name, kind, end } = readQuestion(query);
    asked.push(`${kind} ${name}`);
    const turns = known.get(`${kind} ${name}`) ?? ['no such name' as const];
    const answer = turns.length > 1 ? (turns.shift() as DnsAnswer) : (turns[0] as DnsAnswer);
    if (answer === 'silence') return;
    const records = toRecords(answer, (alias) => {
      const [first = []] = known.get(`${kind} ${alias}`) ?? [];
      return Array.isArray(first) ? first : [];
    }).filter((record) => record.kind === kind || record.kind === 'CNAME');
    const flags = answer === 'no such name' ? 0x8183 : 0x8180;
    const head = Buffer.alloc(ofHeader);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(flags, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    const reply = [head, query.subarray(ofHeader, end), ...records.map(({ bytes }) => bytes)];
    socket.send(Buffer.concat(reply), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    set(name, ...answers) {
      for (const kind of kinds.values()) known.set(`${kind} ${name}`, [...answers]);
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readQuestion(query: Buffer) {
  const labels: string[] = [];
  let place = ofHeader;
  for (let length = query[place] ?? 0; length > 0; length = query[place] ?? 0) {
    labels.push(query.toString('latin1', place + 1, place + 1 + length));
    place += 1 + length;
  }
  const kind = kinds.get(query.readUInt16BE(place + 1)) ?? 'other';
  return { name: labels.join('.').toLowerCase(), kind, end: place + 5 };
}

interface DnsRecord {
  readonly kind: string;
  readonly bytes: Buffer;
}

function toRecords(answer: DnsAnswer, find: (alias: string) => readonly string[]): DnsRecord[] {
  if (answer === 'no such name' || answer === 'silence') return [];
  if (!('alias' in answer)) return answer.map((address) => toRecord(Buffer.of(0xc0, 12), address));
  const owner = toName(answer.alias);
  const alias = { kind: 'CNAME', bytes: record(Buffer.of(0xc0, 12), 5, owner) };
  return [alias, ...find(answer.alias).map((address) => toRecord(owner, address))];
}

function toRecord(owner: Buffer, address: string): DnsRecord {
  return isIPv4(address)
    ? { kind: 'A', bytes: record(owner, 1, Buffer.from(address.split('.').map(Number))) }
    : { kind: 'AAAA', bytes: record(owner, 28, toBytes(address)) };
}

function record(owner: Buffer, kind: number, data: Buffer): Buffer {
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(kind, 0);
  fields.writeUInt16BE(1, 2);
  fields.writeUInt16BE(data.byteLength, 8);
  return Buffer.concat([owner, fields, data]);
}

function toName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.of(label.byteLength), label]),
    Buffer.of(0),
  ]);
}

/** Groups of hexadecimal digits, `::` once. */
function toBytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => text.split(':').filter(Boolean);
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = [...before, ...(tail === undefined ? [] : zeros), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
