import { type DestinationStream, type Logger, pino } from 'pino';
import { createStandardOutput } from './standard-output.ts';

export type Log = Logger;

/**
 * The service's log: JSON lines on standard output, written in the background, so that neither a blocked
 * pipe nor a full disk nor a lost terminal stops the service, or keeps it from stopping. No line holds a
 * secret or a payload.
 */
export function createLog(
  level: string,
  destination: DestinationStream = createStandardOutput(),
): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
