/** What a page says of the one after it. */
export interface PageLink<Item, Page> {
  /** `pageToken` of the next page; undefined at the end of the list, and only there. */
  readonly nextPageToken: string | undefined;
  /** The list from the next page on, to be awaited or iterated; undefined at the end of the list. */
  nextPage(): (PromiseLike<Page> & AsyncIterable<Item>) | undefined;
}

/** A page of a list. */
export interface Page<Item> extends PageLink<Item, Page<Item>> {
  /** At most `pageSize` of them. May be fewer, even none, before the end. */
  readonly items: readonly Item[];
}

/**
 * What a list has found: `await` gives one page, `for await` gives every item, page after page. Nothing is sent before
 * the one or the other. The first page is fetched once, however often it is used.
 */
export class PagedList<Item, OnePage extends PageLink<Item, OnePage>>
  implements Promise<OnePage>, AsyncIterable<Item>
{
  readonly [Symbol.toStringTag]: string = 'PagedList';
  readonly #fetchPage: () => Promise<OnePage>;
  readonly #itemsOf: (page: OnePage) => readonly Item[];
  readonly #signal: AbortSignal | undefined;
  #page: Promise<OnePage> | undefined;

  /** @internal */
  constructor(
    fetchPage: () => Promise<OnePage>,
    itemsOf: (page: OnePage) => readonly Item[],
    signal: AbortSignal | undefined,
  ) {
    this.#fetchPage = fetchPage;
    this.#itemsOf = itemsOf;
    this.#signal = signal;
  }

  /**
   * Every item from this page on. Each page is fetched when the loop has reached it, and retried as a
   * call of its own. Throws what a page rejects with, and the signal's reason as soon as it is aborted:
   * a loop that ends by itself has seen the whole list.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    let page: OnePage | undefined = await this;
    while (page !== undefined) {
      for (const item of this.#itemsOf(page)) {
        this.#signal?.throwIfAborted();
        yield item;
      }
      page = await page.nextPage();
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what a list is for.
  then<Value = OnePage, Failure = never>(
    onPage?: ((page: OnePage) => Value | PromiseLike<Value>) | null,
    onFailure?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Value | Failure> {
    return this.#firstPage().then(onPage, onFailure);
  }

  catch<Failure = never>(
    onFailure?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<OnePage | Failure> {
    return this.#firstPage().catch(onFailure);
  }

  finally(onSettled?: (() => void) | null): Promise<OnePage> {
    return this.#firstPage().finally(onSettled);
  }

  #firstPage(): Promise<OnePage> {
    this.#page ??= this.#fetchPage();
    return this.#page;
  }
}
