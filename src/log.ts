import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

/** Bytes of log that wait for a reader that has stopped; what comes after them is dropped. */
const backlogBytesMax = 8 * 1024 * 1024;

/**
 * The service's log: JSON lines on standard output, written in the background, so that neither a blocked
 * pipe nor a full disk stops the service. No line holds a secret or a payload.
 */
export function createLog(level: string, destination?: DestinationStream): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination ?? toStdout(),
  );
}

function toStdout(): DestinationStream {
  const stdout = pino.destination({ dest: 1, sync: false, maxLength: backlogBytesMax });
  // A full disk or a closed pipe: lines are lost, calls are not.
  stdout.on('error', () => undefined);
  return stdout;
}
