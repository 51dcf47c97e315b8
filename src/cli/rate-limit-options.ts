import { type Command, InvalidArgumentError } from 'commander';
import type { RateLimits } from '../rate-limits/index.ts';

/** What commander makes of the options; undefined: not given. */
export interface RateLimitOptions {
  readonly createsPerSecond?: number;
  readonly createBytesPerSecond?: number;
  readonly burstSeconds?: number;
  readonly streams?: number;
}

/** Adds the options that limit a key, or a workspace, and that take a limit off. */
export function addRateLimitOptions(command: Command): Command {
  return command
    .option(
      '--creates-per-second <number>',
      'how many events may be created, 1–1000000, or "none"',
      parseLimit(1, 1_000_000),
    )
    .option(
      '--create-bytes-per-second <number>',
      'how many bytes of events may be created, 1024–1000000000, or "none"',
      parseLimit(1_024, 1_000_000_000),
    )
    .option(
      '--burst-seconds <number>',
      'for how many seconds of that they may come at once, 1–3600, or "none" for the usual 10',
      parseLimit(1, 3_600),
    )
    .option(
      '--streams <number>',
      'how many streams may be open at once, 1–1000000, or "none"',
      parseLimit(1, 1_000_000),
    );
}

/** Undefined where none of them was given. */
export function readRateLimits(options: RateLimitOptions): RateLimits | undefined {
  const { createsPerSecond, createBytesPerSecond, burstSeconds, streams } = options;
  const limits = { createsPerSecond, createBytesPerSecond, burstSeconds, streams };
  return Object.values(limits).every((limit) => limit === undefined) ? undefined : limits;
}

/** A cell of a table. */
export function describeLimits(limits: RateLimits | undefined): string {
  const { createsPerSecond, createBytesPerSecond, burstSeconds, streams } = limits ?? {};
  const told = [
    createsPerSecond && `${createsPerSecond} creates/s`,
    createBytesPerSecond && `${createBytesPerSecond} bytes/s`,
    burstSeconds && `burst ${burstSeconds} s`,
    streams && `${streams} streams`,
  ];
  return told.filter(Boolean).join(' ') || 'none';
}

/** With the names of the contract; undefined, which JSON leaves out, where there are none. */
export function limitsToJson(limits: RateLimits | undefined) {
  return (
    limits && {
      creates_per_second: limits.createsPerSecond,
      create_bytes_per_second: limits.createBytesPerSecond,
      burst_seconds: limits.burstSeconds,
      streams: limits.streams,
    }
  );
}

function parseLimit(min: number, max: number): (text: string) => number {
  return (text) => {
    if (text === 'none') return 0;
    const limit = /^\d{1,10}$/.test(text) ? Number(text) : 0;
    if (limit >= min && limit <= max) return limit;
    throw new InvalidArgumentError(`It must be ${min}–${max}, or "none".`);
  };
}
