import type { Caller } from './caller.ts';
import { invalidResponse } from './events/from-message.ts';
import { parseInteger, requireString } from './events/request-fields.ts';
import { type Names, refuseUnknownFields } from './known-names.ts';
import { type RequestOptions, requestOptionNames } from './options.ts';
import { type Page, PagedList } from './paged-list.ts';

/** Which page of a list. */
export interface PageQuery {
  /** Items a page, 1–500; default 100. */
  readonly pageSize?: number | undefined;
  /** `nextPageToken` of an earlier page, with the same filters; absent: the first page. */
  readonly pageToken?: string | undefined;
}

/** @internal */
export const pageQueryNames = { pageSize: true, pageToken: true } satisfies Names<PageQuery>;

/** A list: `await` gives one page, `for await` every item, page after page. */
export type ItemList<Item> = PagedList<Item, Page<Item>>;

interface PageFields {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** @internal How a list is fetched, page by page. */
export interface PageSource<Query extends PageQuery, Answer, Item> {
  readonly call: Caller;
  /** What a query may have. */
  readonly fields: Names<Query>;
  /** Makes a request of a query. Throws InvalidRequestError. */
  readonly send: (
    query: Query,
    page: PageFields,
  ) => (options: Parameters<Parameters<Caller>[0]>[0]) => Promise<Answer>;
  readonly itemsOf: (answer: Answer) => readonly Item[];
}

/** @internal Sends nothing and throws nothing: all of that is the page's. */
export function listPages<
  Query extends PageQuery,
  Answer extends { readonly nextPageToken: string },
  Item,
>(source: PageSource<Query, Answer, Item>, query: Query, options: RequestOptions): ItemList<Item> {
  return new PagedList(
    () => fetchPage(source, query, options),
    ({ items }: Page<Item>) => items,
    options?.signal,
  );
}

async function fetchPage<
  Query extends PageQuery,
  Answer extends { readonly nextPageToken: string },
  Item,
>(
  source: PageSource<Query, Answer, Item>,
  query: Query,
  options: RequestOptions,
): Promise<Page<Item>> {
  refuseUnknownFields(query, source.fields, requestOptionNames);
  const send = source.send(query, {
    pageSize: parseInteger('pageSize', query.pageSize, { min: 1, max: 500 }) ?? 0,
    pageToken: query.pageToken === undefined ? '' : requireString('pageToken', query.pageToken),
  });
  const answer = await source.call(send, options);
  const nextPageToken = answer.nextPageToken === '' ? undefined : answer.nextPageToken;
  if (nextPageToken !== undefined && nextPageToken === query.pageToken) {
    throw invalidResponse('names the same page as the next one, so that the list never ends');
  }
  return {
    items: source.itemsOf(answer),
    nextPageToken,
    nextPage: () =>
      nextPageToken === undefined
        ? undefined
        : listPages(source, { ...query, pageToken: nextPageToken }, options),
  };
}
