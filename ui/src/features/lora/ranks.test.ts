import { describe, expect, it } from "vitest";
import { aDetail } from "@/testing/fixtures";
import { describeRanks, rankSentence } from "./ranks";

describe("rankSentence", () => {
  it("says which rank keeps how much", () => {
    expect(rankSentence(32, { "90": 6, "95": 9, "99": 15 })).toBe(
      "Trained at rank 32; rank 6 keeps 90 % of the change, 9 keeps 95 %, 15 keeps 99 %.",
    );
  });
  it("names a rank once, with the largest share it keeps", () => {
    expect(rankSentence(4, { "90": 1, "95": 1, "99": 1 })).toBe(
      "Trained at rank 4; rank 1 keeps 99 % of the change.",
    );
    expect(rankSentence(32, { "90": 1, "95": 2, "99": 2 })).toBe(
      "Trained at rank 32; rank 1 keeps 90 % of the change, 2 keeps 99 %.",
    );
  });
  it("leaves out what is not known, and says so where nothing is", () => {
    expect(rankSentence(300, { "90": 6, "95": null, "99": null })).toBe(
      "Trained at rank 300; rank 6 keeps 90 % of the change.",
    );
    expect(rankSentence(null, null)).toBe(
      "Not trained at one rank; what a lower rank would keep is not known.",
    );
  });
  it("does not promise a rank for a file of zeros", () => {
    expect(rankSentence(8, { "90": 0, "95": 0, "99": 0 })).toBe("Trained at rank 8; it changes nothing.");
  });
});

describe("describeRanks", () => {
  it("tells an entry from an older version from one that was never measured", () => {
    const older = { parameters: null, energy_rank: null };
    expect(describeRanks(aDetail(older))).toMatch(/^Not measured by the version/);
    expect(describeRanks(aDetail({ ...older, has_block_weights: false }))).toBeNull();
  });
});
