import type { Log } from './log.ts';
import { describeCause } from './server/call-log.ts';

/** Calls get 20 s to finish, the rest a few more; past this the process ends whatever is left. */
const stopMsMax = 25_000;

/** Stops once on SIGTERM or SIGINT and exits 0; a second SIGINT does not wait. */
export function stopOnSignal(log: Log, stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) {
      if (signal === 'SIGINT') process.exit(130);
      return;
    }
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error('the stop took too long; exiting');
      process.exit(1);
    }, stopMsMax).unref();
    stop().then(
      () => {
        log.info('stopped');
        log.flush(() => process.exit(0));
      },
      (error: unknown) => {
        log.error({ cause: describeCause(error) }, 'the stop failed');
        log.flush(() => process.exit(1));
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
