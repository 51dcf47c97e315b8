import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** All addresses of a name. Rejects with an error that has the `code` of Node's DNS where there are none. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface ResolveOptions {
  /** What DNS is not asked for, as the system's hosts file says it. */
  readonly hosts: ReadonlyMap<string, readonly LookupAddress[]>;
  /** Servers of DNS; default: the system's. */
  readonly servers?: readonly string[];
}

const queryTimeoutMs = 2_000;
const queryTries = 2;

/**
 * Asks DNS itself: the system's own look-up takes one of the few threads of the process for as long as a name's server
 * is silent, so that some silent ones would hold up everybody's. Names are asked for as they stand, without the search
 * domains of the system.
 */
export function createResolve({ hosts, servers }: ResolveOptions): Resolve {
  const resolver = new Resolver({ timeout: queryTimeoutMs, tries: queryTries });
  if (servers !== undefined) resolver.setServers(servers);
  return async (hostname) => {
    const known = isLocalhost(hostname) ? loopback : hosts.get(withoutDot(hostname));
    if (known !== undefined) return known;
    const answers = await Promise.allSettled([
      resolver.resolve4(hostname),
      resolver.resolve6(hostname),
    ]);
    const addresses = answers.flatMap((answer, index) =>
      answer.status === 'rejected'
        ? []
        : answer.value.map((address) => ({ address, family: index === 0 ? 4 : 6 })),
    );
    if (addresses.length === 0) throw firstReason(answers);
    return addresses;
  };
}

/** One family without an answer is usual; what kept the other one from answering is what matters. */
function firstReason(answers: readonly PromiseSettledResult<unknown>[]): unknown {
  const reasons = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as NodeJS.ErrnoException] : [],
  );
  return reasons.find(({ code }) => code !== 'ENODATA' && code !== 'ENOTFOUND') ?? reasons[0];
}

/** What nobody may give another address, and no server of DNS is asked for (RFC 6761). */
export function isLocalhost(hostname: string): boolean {
  return /^(?:.*\.)?localhost\.?$/i.test(hostname);
}

const loopback: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

function withoutDot(hostname: string): string {
  return hostname.replace(/\.$/, '').toLowerCase();
}

/** The names of the system's hosts file; none where there is no file. */
export function readHosts(path = hostsFile): Map<string, readonly LookupAddress[]> {
  const hosts = new Map<string, LookupAddress[]>();
  for (const line of readLines(path)) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const name of names.map(withoutDot)) {
      hosts.set(name, [...(hosts.get(name) ?? []), { address, family }]);
    }
  }
  return hosts;
}

const hostsFile =
  process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
