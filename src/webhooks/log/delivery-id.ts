import { findUuid, idOf } from '../../type-id.ts';

/** What tells a delivery from others: a window of a cursor, and the place in it. */
export interface DeliveryKey {
  readonly windowId: string;
  readonly place: number;
}

const form = /^dlv_([0-7][0-9a-hjkmnp-tv-z]{25})(\d{1,5})$/;

/** `dlv_…`: the window as a TypeID has it, and the place in digits; the same for each request of the delivery. */
export function toDeliveryId({ windowId, place }: DeliveryKey): string {
  return `dlv_${idOf('win', windowId).slice('win_'.length)}${place}`;
}

/** Undefined for an id that cannot be a delivery's. */
export function parseDeliveryId(id: string): DeliveryKey | undefined {
  const [, window, place] = form.exec(id) ?? [];
  if (window === undefined || place === undefined) return undefined;
  const windowId = findUuid('win', `win_${window}`);
  if (windowId === undefined) return undefined;
  const key = { windowId, place: Number(place) };
  // Only the usual way to write it.
  return toDeliveryId(key) === id ? key : undefined;
}
