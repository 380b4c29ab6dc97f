import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { LoraDetail } from "@/api/client";
import { SidecarFacts, sourceOf } from "./SidecarFacts";

type Sidecar = NonNullable<LoraDetail["sidecar"]>;

const FIRST = { name: "coat.json", program: "First Program", problem: null };
const SECOND = { name: "coat.other.json", program: "Second Program", problem: null };

function aSidecar(change: Partial<Sidecar> = {}): Sidecar {
  return {
    trigger_words: [],
    base_model: null,
    model_name: null,
    model_id: null,
    version_name: null,
    version_id: null,
    description: null,
    tags: [],
    sha256: null,
    sha256_matches: null,
    said_by: {},
    files: [FIRST],
    ...change,
  };
}

describe("what lies beside a file", () => {
  it("names the source of each fact only where there are several", () => {
    const sidecar = aSidecar({
      base_model: "Imaginary 2",
      tags: ["wool", "long"],
      said_by: { base_model: "coat.other.json", tags: "coat.json" },
      files: [FIRST, SECOND],
    });
    const { unmount } = render(<SidecarFacts sidecar={sidecar} />);
    expect(screen.getByText("Imaginary 2").textContent).toBe("Imaginary 2from Second Program");
    expect(screen.getByText("wool, long").textContent).toBe("wool, longfrom First Program");
    expect(sourceOf(sidecar)).toBeNull();
    unmount();
    const alone = aSidecar({ base_model: "Imaginary 2", said_by: { base_model: "coat.json" } });
    render(<SidecarFacts sidecar={alone} />);
    expect(screen.getByText("Imaginary 2").textContent).toBe("Imaginary 2");
    expect(sourceOf(alone)).toBe("from First Program");
  });

  it("shows foreign markup as the text it is", () => {
    const name = '<img src="x" onerror="alert(1)">';
    const { container } = render(<SidecarFacts sidecar={aSidecar({ model_name: name, model_id: 12 })} />);
    expect(screen.getByText(`${name}, no. 12`)).toBeDefined();
    expect(container.querySelector("img")).toBeNull();
  });

  it("says when the claimed hash is another file's, and nothing where that is not known", () => {
    const sha256 = "7e".repeat(32);
    const { rerender } = render(<SidecarFacts sidecar={aSidecar({ sha256 })} />);
    expect(screen.queryByText(/this file's/)).toBeNull();
    rerender(<SidecarFacts sidecar={aSidecar({ sha256, sha256_matches: true })} />);
    expect(screen.getByText("is this file's")).toBeDefined();
    rerender(<SidecarFacts sidecar={aSidecar({ sha256, sha256_matches: false })} />);
    expect(screen.getByText(/is not this file's/)).toBeDefined();
  });

  it("says why a file could not be read", () => {
    render(<SidecarFacts sidecar={aSidecar({ files: [{ ...FIRST, problem: "permission denied" }] })} />);
    expect(screen.getByText("could not be read: permission denied")).toBeDefined();
  });
});
