/** The first of some items, as many as take `bytesMax` together; the very first always stays. */
export function cutByBytes<Item>(
  items: readonly Item[],
  bytesOf: (item: Item, index: number) => number,
  bytesMax: number,
): readonly Item[] {
  let bytes = 0;
  const end = items.findIndex((item, index) => {
    bytes += bytesOf(item, index);
    return index > 0 && bytes > bytesMax;
  });
  return end < 0 ? items : items.slice(0, end);
}
