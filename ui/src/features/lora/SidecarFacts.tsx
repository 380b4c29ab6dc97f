/** What other programs wrote beside the file: claims, each with the file that makes it, shown as text. */
import type { ReactNode } from "react";
import type { LoraDetail } from "@/api/client";
import { Copy } from "@/components/ui";
import css from "./lora.module.css";

type Sidecar = NonNullable<LoraDetail["sidecar"]>;
type Field = keyof Sidecar["said_by"];

const SHORT_HASH = 12;

/** Whose file says everything, or nothing where there are several and each fact has to name its own. */
export function sourceOf(sidecar: Sidecar): string | null {
  const [first, ...others] = sidecar.files;
  return first !== undefined && others.length === 0 ? `from ${first.program}` : null;
}

export function SidecarFacts({ sidecar }: { sidecar: Sidecar }) {
  const facts: [name: string, value: string, fields: Field[]][] = [
    ["Called", numbered(sidecar.model_name, sidecar.model_id), ["model_name", "model_id"]],
    ["Version", numbered(sidecar.version_name, sidecar.version_id), ["version_name", "version_id"]],
    ["Said to be for", sidecar.base_model ?? "", ["base_model"]],
    ["Tags", sidecar.tags.join(", "), ["tags"]],
    ["Description", sidecar.description ?? "", ["description"]],
  ];
  const sourceFor = (fields: Field[]) => {
    if (sourceOf(sidecar) !== null) return null;
    const names = fields.map((field) => sidecar.said_by[field]);
    const file = sidecar.files.find((one) => names.includes(one.name));
    return file === undefined ? null : `from ${file.program}`;
  };
  return (
    <dl className={css.pairs}>
      {facts.map(([name, value, fields]) =>
        value === "" ? null : (
          <Claim key={name} name={name} source={sourceFor(fields)}>
            {value}
          </Claim>
        ),
      )}
      {sidecar.sha256 !== null && (
        <Claim name="SHA-256" source={sourceFor(["sha256"])}>
          <Copy text={sidecar.sha256} label="Copy claimed SHA-256">
            <span className="mono">{sidecar.sha256.slice(0, SHORT_HASH)}</span>
          </Copy>
          <HashVerdict matches={sidecar.sha256_matches} />
        </Claim>
      )}
      <Claim name={sidecar.files.length === 1 ? "File" : "Files"} source={null}>
        <ul>
          {sidecar.files.map((file) => (
            <li key={file.name}>
              {file.name}
              {file.problem !== null && (
                <span className={`${css.factDetail} ${css.mismatch}`}>could not be read: {file.problem}</span>
              )}
            </li>
          ))}
        </ul>
      </Claim>
    </dl>
  );
}

function Claim({ name, source, children }: { name: string; source: string | null; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {children}
        {source !== null && <span className={css.factDetail}>{source}</span>}
      </dd>
    </div>
  );
}

function HashVerdict({ matches }: { matches: boolean | null }) {
  if (matches === null) return null;
  if (matches) return <span className={css.factDetail}>is this file's</span>;
  return (
    <span className={`${css.factDetail} ${css.mismatch}`}>
      is not this file's: what is said here may be of another version
    </span>
  );
}

function numbered(name: string | null, id: number | null): string {
  return [name, id !== null && `no. ${id}`].filter(Boolean).join(", ");
}
