/** A fetch that carries out the first call and loses its answer, as a connection does that breaks; then all goes well. */
export function losingFirstAnswer(): typeof globalThis.fetch {
  let calls = 0;
  return async (input, init) => {
    const answer = await globalThis.fetch(input, init);
    calls += 1;
    if (calls > 1) return answer;
    await answer.arrayBuffer();
    throw new TypeError('fetch failed');
  };
}
