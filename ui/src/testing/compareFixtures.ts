/** Three LoRAs beside each other: one whole, one of another architecture, one with the lower blocks only. */
import type { CompareAnswer, ComparedValue } from "@/api/client";

function measured(weight: number, raw: number, rms: number | null): ComparedValue {
  return { state: "measured", weight, raw_strength: raw, rms_change: rms };
}

const OUTSIDE: ComparedValue = { state: "outside", weight: null, raw_strength: null, rms_change: null };
const ABSENT: ComparedValue = { state: "absent", weight: 0, raw_strength: 0, rms_change: null };

export function aComparison(change: Partial<CompareAnswer> = {}): CompareAnswer {
  const entry = {
    architecture: "imaginary1",
    block_layout: "imaginary_two_4",
    strength_kinds: ["delta"],
    compared: true,
    reason: null,
  };
  return {
    architecture: "imaginary1",
    architecture_name: "Imaginary One",
    entries: [
      { ...entry, stable_id: "IMG-CLT-001", filename: "coat.safetensors" },
      {
        ...entry,
        stable_id: "OTH-STL-001",
        filename: "other.safetensors",
        architecture: "other1",
        compared: false,
        reason: "It is for Other, the others are for Imaginary One.",
      },
      { ...entry, stable_id: "IMG-STL-001", filename: "ink.safetensors" },
    ],
    groups: [
      { key: "upper", title: "Upper blocks", abbreviation: "U", start: 0, count: 2 },
      { key: "lower", title: "Lower blocks", abbreviation: "L", start: 2, count: 2 },
    ],
    places: [
      { label: "U00", group: "upper", group_index: 0, values: [measured(0.5, 1, 0.0001), OUTSIDE] },
      { label: "U01", group: "upper", group_index: 1, values: [measured(1, 2, 0.0002), OUTSIDE] },
      {
        label: "L00",
        group: "lower",
        group_index: 0,
        values: [measured(0.25, 0.5, 0.0001), measured(1, 4, null)],
      },
      { label: "L01", group: "lower", group_index: 1, values: [ABSENT, measured(0.25, 1, 0.0001)] },
    ],
    similarities: [{ one: "IMG-CLT-001", other: "IMG-STL-001", cosine: 0.4213 }],
    notes: [],
    ...change,
  };
}
