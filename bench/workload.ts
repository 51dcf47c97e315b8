/** The event that every create of the bench sends: some 200 bytes of JSON. */
export const newEvent = {
  type: 'invoice.paid',
  payload: {
    invoice_id: 'inv_0192ac4e8b1d',
    customer: { id: 'cus_7f3a', country: 'DE' },
    amount_cents: 4200,
    currency: 'EUR',
    paid: true,
  },
};

/** Calls go round these, so that the variants without a queue seldom wait for one counter's lock. */
export const workspaceIds = Array.from({ length: 64 }, (_, n) => `ws_bench${n}`);

/** The figure: calls at once. */
export const callsInFlight = 64;
