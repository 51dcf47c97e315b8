import { afterEach, beforeEach } from 'vitest';
import { createDeliveryLab, type DeliveryLab } from './delivery-lab.ts';
import { type Receiver, startReceiver } from './webhook-receiver.ts';

export interface LabOfTest {
  readonly lab: DeliveryLab;
  readonly receiver: Receiver;
}

/** Gives each test of a file a lab and a receiver of its own; both are closed after it, errors of the lab's processes fail it. */
export function labOfEachTest(begin: (made: LabOfTest) => void): void {
  let made: LabOfTest;
  beforeEach(async () => {
    const [lab, receiver] = await Promise.all([createDeliveryLab(), startReceiver()]);
    made = { lab, receiver };
    begin(made);
  });
  afterEach(async () => {
    await made.lab.close();
    await made.receiver.close();
  });
}
