/** Where ticks and labels of a chart stand. Pure. */

/** Round steps (1, 2, 5 times a power of ten) from 0 up to `max`, about `wanted` of them. */
export function niceTicks(max: number, wanted: number): number[] {
  if (!(max > 0) || !Number.isFinite(max)) return [0];
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const ticks: number[] = [];
  for (let count = 0; count * step <= max * 1.0001; count++)
    ticks.push(Number.parseFloat((count * step).toPrecision(6)));
  return ticks;
}

/** Every how many blocks a label fits under the bars. */
export function labelEvery(step: number, labelWidth: number): number {
  return [1, 2, 3, 4, 5, 6, 8, 10].find((every) => every * step >= labelWidth + 5) ?? 12;
}
