import { Events } from './0001-events.ts';
import { TenYears } from './0002-ten-years.ts';

/** Every migration in the order in which it runs; the names are stored and never change. */
export const migrations = [
  { name: '0001-events', class: Events },
  { name: '0002-ten-years', class: TenYears },
];
