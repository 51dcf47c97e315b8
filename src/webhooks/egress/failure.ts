import { AnswerTooLong } from './answer-limit.ts';
import { AddressNotAllowed } from './dial.ts';

const notHttp = 'answer that is not HTTP';
const unasked = '"100 Continue" that was not asked for';

const byCode = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EPIPE', 'connection reset'],
  ['UND_ERR_SOCKET', 'connection closed'],
  ['UND_ERR_CONNECT_TIMEOUT', 'timeout while connecting'],
  ['ETIMEDOUT', 'timeout while connecting'],
  ['ENOTFOUND', 'name not found'],
  ['ENODATA', 'name not found'],
  ['EHOSTUNREACH', 'host unreachable'],
  ['ENETUNREACH', 'network unreachable'],
  ['UND_ERR_HEADERS_OVERFLOW', 'answer with too long headers'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', notHttp],
]);

/** Other codes of DNS, such as ESERVFAIL and ETIMEOUT. */
const ofDns = /^E(?:SERVFAIL|TIMEOUT|REFUSED|FORMERR|BADRESP|BADNAME|CONNREFUSED|CANCELLED)$/;
const ofTls =
  /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * Why a request has no answer, for whoever owns the endpoint: nothing of addresses, nor of anything else that the error's
 * own text may hold.
 */
export function describeFailure(error: unknown): string {
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  if (cause instanceof AddressNotAllowed) return 'address not allowed';
  if (cause instanceof AnswerTooLong) return 'answer too long';
  if (!(cause instanceof Error)) return 'request failed';
  const code = 'code' in cause ? String(cause.code) : '';
  const isOfDns = 'syscall' in cause && /^query/.test(String(cause.syscall));
  if (isOfDns && ofDns.test(code)) return 'name not resolved';
  if (ofTls.test(code)) return 'TLS refused';
  if (cause.name === 'HTTPParserError') return notHttp;
  // undici takes it for broken, though HTTP allows it before any answer; its error has no code of its own.
  if (code === 'UND_ERR_SOCKET' && cause.message === 'bad response') return unasked;
  return byCode.get(code) ?? 'request failed';
}
