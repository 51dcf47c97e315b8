import { Events } from './0001-events.ts';

/** Every migration in the order in which it runs; the names are stored and never change. */
export const migrations = [{ name: '0001-events', class: Events }];
