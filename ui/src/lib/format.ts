/** Numbers, dates and names as people read them. */

const INTEGER = new Intl.NumberFormat("en");

/** 12403 -> "12,403". */
export function formatCount(value: number): string {
  return INTEGER.format(value);
}

/** "1 entry", "2 entries". */
export function countOf(value: number, one: string, many: string): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** Bytes in decimal units as file managers show them: three significant figures. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** A weight between 0 and 1, three decimals. */
export function formatWeight(weight: number): string {
  return weight.toFixed(3);
}

/** A raw strength: four significant figures, exponent only where needed. */
export function formatStrength(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return value.toExponential(3);
  return String(Number.parseFloat(value.toPrecision(4)));
}

/** A change of a single weight, mostly far below 1: three significant figures, "1.80e-4". */
export function formatSmall(value: number): string {
  return value === 0 ? "0" : value >= 0.01 ? value.toPrecision(3) : value.toExponential(2);
}

/** Seconds as "41 s", "2 min 05 s", "3 h 12 min". */
export function formatDuration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/** An ISO moment in the reader's time zone, "2026-05-04 10:11"; what is not a date stays as it is. */
export function formatMoment(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** How long ago, coarsely: "just now", "4 min ago", "3 h ago", "12 days ago". */
export function formatAgo(iso: string, now: number): string {
  const seconds = (now - new Date(iso).getTime()) / 1000;
  if (Number.isNaN(seconds)) return iso;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? "yesterday" : `${formatCount(days)} days ago`;
}

/** A file's name without the extension every row would repeat. */
export function displayName(filename: string): string {
  return filename.replace(/\.safetensors$/i, "");
}

/** A reason without the path it begins with, for places that show the path anyway. */
export function withoutPath(reason: string, path: string): string {
  const prefix = `${path}: `;
  if (!reason.startsWith(prefix) || reason.length === prefix.length) return reason;
  const rest = reason.slice(prefix.length);
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

/** "Machines_Vehicles" -> "Machines Vehicles". */
export function spaced(name: string): string {
  return name.replaceAll("_", " ");
}
