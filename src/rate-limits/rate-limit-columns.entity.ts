import { p } from '@mikro-orm/core';
import type { RateLimits } from './rate-limits.ts';

/** The columns of whatever has rate limits; null: no limit, and of `burst_seconds` the usual one. */
export const rateLimitColumns = () => ({
  createsPerSecond: p.integer().nullable(),
  createBytesPerSecond: p.integer().nullable(),
  burstSeconds: p.integer().nullable(),
  streamsMax: p.integer().nullable(),
});

export interface RateLimitColumns {
  createsPerSecond?: number | null | undefined;
  createBytesPerSecond?: number | null | undefined;
  burstSeconds?: number | null | undefined;
  streamsMax?: number | null | undefined;
}

/** Undefined where the row has no limit. */
export function toRateLimits(row: RateLimitColumns): RateLimits | undefined {
  const { createsPerSecond, createBytesPerSecond, burstSeconds, streamsMax } = row;
  const limits = {
    createsPerSecond: createsPerSecond ?? undefined,
    createBytesPerSecond: createBytesPerSecond ?? undefined,
    burstSeconds: burstSeconds ?? undefined,
    streams: streamsMax ?? undefined,
  };
  return Object.values(limits).every((limit) => limit === undefined) ? undefined : limits;
}

export function toRateLimitColumns(limits: RateLimits | undefined): Required<RateLimitColumns> {
  return {
    createsPerSecond: limits?.createsPerSecond ?? null,
    createBytesPerSecond: limits?.createBytesPerSecond ?? null,
    burstSeconds: limits?.burstSeconds ?? null,
    streamsMax: limits?.streams ?? null,
  };
}
