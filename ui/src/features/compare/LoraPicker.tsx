/** Finds a LoRA by id or name as one types: a text field with a list of what the server finds. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useId, useState } from "react";
import { api } from "@/api/client";
import { displayName } from "@/lib/format";
import css from "./compare.module.css";

const PAUSE_MS = 140;
const SHOWN = 8;

interface LoraPickerProps {
  /** Only LoRAs of this architecture are offered; any, where it is null. */
  architecture: string | null;
  taken: readonly string[];
  onPick: (stableId: string) => void;
  isFirst: boolean;
}

export function LoraPicker({ architecture, taken, onPick, isFirst }: LoraPickerProps) {
  const list = useId();
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(text.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const query = useQuery({
    queryKey: ["search", "pick", asked, architecture],
    queryFn: ({ signal }) =>
      api.search(
        {
          search: asked,
          has_blocks: "1",
          limit: SHOWN + taken.length,
          ...(architecture !== null && { architecture }),
        },
        signal,
      ),
    enabled: isOpen,
    placeholderData: keepPreviousData,
  });
  const found = (query.data?.results ?? []).filter((row) => !taken.includes(row.stable_id)).slice(0, SHOWN);
  const shown = isOpen && query.data !== undefined;
  const at = Math.min(active, found.length - 1);

  const pick = (stableId: string) => {
    setText("");
    setAsked("");
    setActive(0);
    setOpen(false);
    onPick(stableId);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") setOpen(false);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      setActive(
        Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(found.length - 1, 0)),
      );
    } else if (event.key === "Enter" && shown && asked === text.trim() && !query.isPlaceholderData) {
      const row = found[at];
      if (row !== undefined) pick(row.stable_id);
    }
  };
  return (
    <div className={css.picker}>
      <input
        type="text"
        role="combobox"
        aria-label={isFirst ? "LoRA to compare" : "Compare with"}
        aria-expanded={shown}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={shown && at >= 0 ? `${list}-${at}` : undefined}
        placeholder={isFirst ? "Id or name of a LoRA" : "Compare with: id or name"}
        autoComplete="off"
        spellCheck={false}
        maxLength={200}
        value={text}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
          setOpen(true);
        }}
        onKeyDown={onKey}
      />
      <div id={list} role="listbox" aria-label="LoRAs found" className={css.found} hidden={!shown}>
        {found.map((row, index) => (
          <div
            key={row.stable_id}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === at}
            tabIndex={-1}
            // The field would lose the focus, and with it the list, before the click.
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => pick(row.stable_id)}
            onKeyDown={onKey}
            onPointerEnter={() => setActive(index)}
          >
            <span className="mono">{row.stable_id}</span>
            <span>{displayName(row.filename)}</span>
          </div>
        ))}
        {shown && found.length === 0 && (
          <div role="option" aria-selected={false} aria-disabled="true" tabIndex={-1} className={css.none}>
            {architecture === null
              ? "No measured LoRA has this text"
              : "No LoRA of this architecture has this text"}
          </div>
        )}
      </div>
    </div>
  );
}
