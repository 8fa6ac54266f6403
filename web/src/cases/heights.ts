// Which rows of a long list are in sight. Plain arithmetic on heights; a row not measured yet has a guessed one.

const GUESSED_PX = 30;

export class Heights {
  private readonly measured = new Map<string, number>();
  private keys: readonly string[] = [];
  private tops = new Float64Array(1); // of each row, and at the end of all

  take(keys: readonly string[]): void {
    this.keys = keys;
    this.tops = new Float64Array(keys.length + 1);
    let top = 0;
    keys.forEach((key, i) => (this.tops[i + 1] = top += this.measured.get(key) ?? GUESSED_PX));
  }

  /** Whether any of `heights` is news. */
  measure(heights: Iterable<readonly [key: string, px: number]>): boolean {
    let isNews = false;
    for (const [key, px] of heights) {
      if (px === 0 || this.measured.get(key) === px) continue;
      this.measured.set(key, px);
      isNews = true;
    }
    if (isNews) this.take(this.keys);
    return isNews;
  }

  /** Every measure is void: the list has another width. */
  forget(): void {
    this.measured.clear();
    this.take(this.keys);
  }

  get totalPx(): number {
    return this.topOf(this.keys.length);
  }

  topOf(row: number): number {
    return this.tops[Math.min(Math.max(0, row), this.keys.length)] ?? 0;
  }

  /** The row that stands at `px` from the top. */
  rowAt(px: number): number {
    let low = 0;
    let high = this.keys.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.topOf(middle) <= px) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }
}
