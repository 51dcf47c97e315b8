const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|[+-](\d\d):(\d\d))$/;

/**
 * Whether a text is a time as RFC 3339 writes it and the calendar has it. Date.parse, by itself, takes 30
 * February for 2 March and 24:00 for the next day.
 */
export function isTime(text: string): boolean {
  const parts = form.exec(text);
  if (parts === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ...offset] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  const [offsetHours = 0, offsetMinutes = 0] = offset;
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return false;
  return hour < 24 && minute < 60 && second < 60 && offsetHours < 24 && offsetMinutes < 60;
}

function daysOf(year: number, month: number): number {
  // Day 0 of the next month; Date.UTC would take years below 100 for those of 1900.
  return new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}
