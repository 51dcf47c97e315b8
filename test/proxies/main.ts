import { checkBatches, checkCalls, checkReflection, checkStreams } from './checks.ts';
import { programs } from './programs.ts';
import { startProxy } from './proxy.ts';
import { type Services, startServices } from './services.ts';
import { startTraffic, type Traffic } from './traffic.ts';
import type { Way } from './ways.ts';

/**
 * `npm run proxies`: runs the configurations of docs/proxies, each in front of two processes of the service: calls of every
 * protocol, a batch of 8 MiB, streams that are silent for longer than the proxy waits, and restarts of both processes while
 * calls go on. Takes names of proxies; all by default. One that is not at hand is skipped by name.
 */
async function main(): Promise<void> {
  const names = process.argv.slice(2);
  for (const name of names) {
    if (programs.some((program) => program.name === name)) continue;
    throw new Error(`no proxy ${name}; there are ${programs.map((one) => one.name).join(', ')}`);
  }
  await using cleanup = new AsyncDisposableStack();
  const services = cleanup.use(await startServices());
  const ways: Way[] = [];
  for (const program of programs) {
    if (names.length > 0 && !names.includes(program.name)) continue;
    const command = await program.find();
    if (command === undefined) {
      tell(`skipped: the service behind ${program.name} (needs ${program.needs})`);
      continue;
    }
    const proxy = cleanup.use(await startProxy(program, command, services.ports));
    ways.push({ proxy, secretKey: services.secretKey });
  }
  for (const way of ways) {
    await by(way, () => checkCalls(way));
    await by(way, () => checkReflection(way));
    await by(way, () => checkBatches(way));
    tell(`behind ${way.proxy.name}: calls of every protocol, a batch of 8 MiB`);
  }
  // Together: they are silent most of the time.
  await Promise.all(ways.map((way) => by(way, () => checkStreams(way))));
  tell('streams outlive the time that a proxy waits');
  for (const way of ways) {
    const calls = await by(way, () => restartUnder(startTraffic(way), services));
    tell(`behind ${way.proxy.name}: both processes restarted, ${calls} calls, none failed`);
  }
}

/**
 * One process after the other, as in an upgrade: each is stopped when this proxy sends every caller to both. Before that it may
 * not know yet that the other one is back; that another proxy, which has just gone through the same, knows says nothing.
 */
async function restartUnder(traffic: Traffic, services: Services): Promise<number> {
  for (const which of [0, 1] as const) {
    await services.called(traffic.requestIds);
    await traffic.more(callsBefore);
    await services.restart(which);
  }
  await services.called(traffic.requestIds);
  return await traffic.stop();
}

/** Enough for all connections to be in use. */
const callsBefore = 1_000;

/** A proxy that holds something back would keep a check waiting for ever. */
const checkTimeoutMs = 3 * 60_000;

async function by<T>({ proxy }: Way, check: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const seconds = checkTimeoutMs / 1000;
  const timer = setTimeout(
    () => late.reject(new Error(`not done in ${seconds} s`)),
    checkTimeoutMs,
  );
  try {
    return await Promise.race([check(), late.promise]);
  } catch (cause) {
    const said = proxy.said === '' ? '' : `\n${proxy.name} said:\n${proxy.said}`;
    throw new Error(`behind ${proxy.name}: ${(cause as Error).message}${said}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  tell(`proxies failed: ${error instanceof Error ? error.message : error}`);
  // Calls that a check was waiting for may still be open.
  process.exit(1);
}
