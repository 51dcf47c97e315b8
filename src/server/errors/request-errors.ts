/** A field breaks a rule that only the server can check. */
export class InvalidField extends Error {
  override readonly name = 'InvalidField';
  readonly field: string;
  readonly rule: string;

  constructor(field: string, rule: string) {
    super(`${field}: ${rule}`);
    this.field = field;
    this.rule = rule;
  }
}

/** The process answers as many calls as it takes on at once. */
export class CallsInFlightFull extends Error {
  override readonly name = 'CallsInFlightFull';

  constructor() {
    super('too many calls at once; try again later');
  }
}

/** The body is larger than any valid request of its RPC. */
export class RequestTooLarge extends Error {
  override readonly name = 'RequestTooLarge';
  readonly bytesMax: number;

  constructor(bytesMax: number) {
    super(`the request is larger than ${bytesMax} bytes`);
    this.bytesMax = bytesMax;
  }
}

/** A client streams more messages than one stream takes. */
export class TooManyMessages extends Error {
  override readonly name = 'TooManyMessages';

  constructor(messagesMax: number) {
    super(`a stream takes at most ${messagesMax} messages; go on with another stream`);
  }
}

/** A client goes on sending messages while earlier ones wait. */
export class TooFarAhead extends Error {
  override readonly name = 'TooFarAhead';

  constructor(bytesMax: number) {
    super(`at most ${bytesMax} bytes of messages may wait; take the answers to them first`);
  }
}

/** The process is being stopped; streams of clients that say nothing end. */
export class ServerStopping extends Error {
  override readonly name = 'ServerStopping';

  constructor() {
    super('the service is being stopped; open the stream again');
  }
}

/** A message says that it is compressed, and the headers do not say how. */
export class CompressionUndeclared extends Error {
  override readonly name = 'CompressionUndeclared';

  constructor() {
    super('a message is marked as compressed, but the headers name no encoding');
  }
}
