/** The facts of an entry, as a strip of labelled values. */
import type { ReactNode } from "react";
import type { LoraDetail } from "@/api/client";
import { useRegistry } from "@/api/registry";
import { Copy } from "@/components/ui";
import { countOf, formatBytes, formatMoment, formatStrength, spaced } from "@/lib/format";
import css from "./lora.module.css";
import { describeRanks } from "./ranks";

const EVIDENCE: Record<string, string> = {
  tensors: "told by the tensors",
  metadata: "told by the metadata",
  folder: "told by the folder",
  prior: "the likeliest of several",
};
const SHORT_HASH = 12;
const DATE_LENGTH = 10; // of a moment, without the time

function Fact({ name, children, detail }: { name: string; children: ReactNode; detail?: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {children}
        {detail !== undefined && detail !== null && <span className={css.factDetail}>{detail}</span>}
      </dd>
    </div>
  );
}

export function Facts({ entry }: { entry: LoraDetail }) {
  const ranks = describeRanks(entry);
  return (
    <dl className={css.facts}>
      <Fact
        name="Base"
        detail={[entry.base_model_code, EVIDENCE[entry.base_model_evidence ?? ""]].filter(Boolean).join(", ")}
      >
        {entry.base_model_name ?? "unknown"}
      </Fact>
      <Fact name="Category" detail={entry.category_code}>
        {spaced(entry.category_name ?? "none")}
      </Fact>
      <ArchitectureFact entry={entry} />
      <Fact name="Adapter" detail={entry.dialect && `written as ${entry.dialect}`}>
        {entry.adapter_types.join(" + ") || "unknown"}
      </Fact>
      <Fact name="Rank" detail={entry.alpha === null ? "no alpha" : `alpha ${formatStrength(entry.alpha)}`}>
        {entry.rank ?? "none"}
      </Fact>
      <Fact name="Size" detail={countOf(entry.tensor_count, "tensor", "tensors")}>
        {formatBytes(entry.size_bytes)}
      </Fact>
      <Fact
        name="Text encoder"
        detail={entry.clip_contributor ? countOf(entry.clip_tensor_count, "tensor", "tensors") : null}
      >
        {entry.clip_contributor ? "changed too" : "untouched"}
      </Fact>
      <Fact
        name="File date"
        detail={entry.created_at && `added ${formatMoment(entry.created_at).slice(0, DATE_LENGTH)}`}
      >
        {entry.last_modified === null ? "unknown" : formatMoment(entry.last_modified)}
      </Fact>
      <Fact name="Content hash" detail={entry.content_hash && "blake3 of the tensors"}>
        {entry.content_hash === null ? (
          entry.pending ? (
            "not read yet"
          ) : (
            "none"
          )
        ) : (
          <Copy text={entry.content_hash} label="Copy content hash">
            <span className="mono">{entry.content_hash.slice(0, SHORT_HASH)}</span>
          </Copy>
        )}
      </Fact>
      {ranks !== null && (
        <div className={css.factLine}>
          <dt>Rank needed</dt>
          <dd>{ranks}</dd>
        </div>
      )}
    </dl>
  );
}

function ArchitectureFact({ entry }: { entry: LoraDetail }) {
  const registry = useRegistry();
  const nameOf = (id: string) => registry.architecture(id)?.name ?? id;
  const others = entry.ambiguous_architectures.filter((id) => id !== entry.architecture);
  const details = [
    [entry.variant, entry.architecture !== null && EVIDENCE[entry.architecture_evidence ?? ""]]
      .filter(Boolean)
      .join(", "),
    others.length > 0 && `could also be ${others.map(nameOf).join(", ")}`,
  ].filter(Boolean);
  return (
    <Fact name="Architecture" detail={details.length > 0 ? details.join("; ") : null}>
      {entry.architecture === null ? "unknown" : nameOf(entry.architecture)}
    </Fact>
  );
}
