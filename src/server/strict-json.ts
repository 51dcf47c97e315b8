/** Connect hands it to its JSON codec; the default one would put U+FFFD in place of what is not UTF-8. */
export const strictJson = {
  textDecoder: new TextDecoder('utf-8', { fatal: true }),
  ignoreUnknownFields: true,
};
