export function heatMaps(chart: {
  readonly title: string;
  readonly note: string;
  readonly columnTitle: string;
  readonly rowTitle: string;
  readonly columns: readonly (string | number)[];
  readonly rows: readonly (string | number)[];
  readonly panels: readonly { readonly title: string; readonly values: readonly (readonly number[])[] }[];
}): string;
export function intervals(chart: {
  readonly title: string;
  readonly note: string;
  readonly axis: string;
  readonly rows: readonly {
    readonly label: string;
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }[];
  readonly goal?: number;
}): string;
export function curves(chart: {
  readonly title: string;
  readonly note: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly places: readonly string[];
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly {
      readonly x: string;
      readonly y: number;
      readonly low?: number;
      readonly high?: number;
    }[];
  }[];
  readonly bases?: readonly { readonly y: number; readonly name: string }[];
}): string;
