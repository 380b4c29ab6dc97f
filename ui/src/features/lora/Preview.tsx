/** The image beside a LoRA file, in a box of its own size: no picture, however shaped or slow, moves the page. */
import { useState } from "react";
import type { LoraDetail } from "@/api/client";
import { displayName } from "@/lib/format";
import css from "./lora.module.css";

type Image = NonNullable<LoraDetail["preview"]>;

export function Preview({ preview, of }: { preview: Image; of: LoraDetail }) {
  const [failed, setFailed] = useState(false);
  return (
    <div className={css.preview}>
      {failed ? (
        <p>{preview.file} cannot be shown.</p>
      ) : (
        <a href={preview.url} target="_blank" rel="noreferrer" title={`${preview.file}, in full`}>
          <img
            src={preview.url}
            alt={`Preview of ${displayName(of.filename)}`}
            loading="lazy"
            decoding="async"
            onError={() => setFailed(true)}
          />
        </a>
      )}
    </div>
  );
}
