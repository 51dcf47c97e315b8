type Fields = NodeJS.Dict<string | string[]>;

/**
 * `Headers` over fields that are there already, with names in lower case and values that HTTP takes. To look one up, or
 * to go through them, costs next to nothing; whatever else is asked of them makes the platform's own, which cost a call
 * more than to parse it.
 */
export class HeaderFields implements Headers {
  readonly #fields: Fields;
  /** The names that can be seen; undefined: all. */
  readonly #shown: ReadonlySet<string> | undefined;
  #whole: Headers | undefined;

  constructor(fields: Fields = {}, shown?: ReadonlySet<string>) {
    this.#fields = fields;
    this.#shown = shown;
  }

  get(name: string): string | null {
    if (this.#whole !== undefined) return this.#whole.get(name);
    const key = name.toLowerCase();
    return this.#shown?.has(key) === false ? null : this.#valueOf(key);
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  forEach(tell: (value: string, name: string, parent: Headers) => void, self?: unknown): void {
    if (this.#whole !== undefined) {
      this.#whole.forEach(tell, self);
      return;
    }
    for (const name in this.#fields) {
      const value = this.get(name);
      if (value !== null) tell.call(self, value, name, this);
    }
  }

  append(name: string, value: string): void {
    this.#made().append(name, value);
  }

  delete(name: string): void {
    this.#made().delete(name);
  }

  set(name: string, value: string): void {
    this.#made().set(name, value);
  }

  getSetCookie(): string[] {
    return this.#made().getSetCookie();
  }

  entries() {
    return this.#made().entries();
  }

  keys() {
    return this.#made().keys();
  }

  values() {
    return this.#made().values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  #valueOf(key: string): string | null {
    const value = Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined;
    if (typeof value === 'string') return value;
    return value === undefined ? null : value.join(', ');
  }

  #made(): Headers {
    if (this.#whole === undefined) {
      const whole = new Headers();
      this.forEach((value, name) => {
        whole.append(name, value);
      });
      this.#whole = whole;
    }
    return this.#whole;
  }
}
