/** Which columns the table has, and in which order. */
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui";
import { moved, toggled } from "./columnSettings";
import { COLUMNS, DEFAULT_COLUMNS } from "./columns";
import css from "./library.module.css";

interface ColumnMenuProps {
  columns: readonly string[] | null;
  onChange: (columns: readonly string[] | null) => void;
}

export function ColumnMenu({ columns, onChange }: ColumnMenuProps) {
  const [open, setOpen] = useState(false);
  const menu = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const press = (event: PointerEvent) => {
      const target = event.target as Node;
      if (!menu.current?.contains(target) && !button.current?.contains(target)) setOpen(false);
    };
    document.addEventListener("pointerdown", press);
    return () => document.removeEventListener("pointerdown", press);
  }, [open]);

  const shown = columns ?? DEFAULT_COLUMNS;
  const hidden = COLUMNS.map(({ key }) => key).filter((key) => !shown.includes(key));
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes from wherever the focus is in it
    <div
      className={css.menuPlace}
      ref={button}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        setOpen(false);
        button.current?.querySelector("button")?.focus();
      }}
    >
      <Button aria-expanded={open} onClick={() => setOpen(!open)}>
        Columns
      </Button>
      {open && (
        <section className={css.menu} ref={menu} aria-label="Columns">
          <ul>
            {[...shown, ...hidden].map((key) => {
              const title = COLUMNS.find((column) => column.key === key)?.title ?? key;
              const place = shown.indexOf(key);
              return (
                <li key={key}>
                  <label>
                    <input
                      type="checkbox"
                      checked={place >= 0}
                      disabled={key === "name"}
                      onChange={() => onChange(toggled(columns, key))}
                    />
                    {title}
                  </label>
                  {place >= 0 && (
                    <>
                      <button
                        type="button"
                        aria-label={`Move ${title} left`}
                        disabled={place === 0}
                        onClick={() => onChange(moved(columns, key, -1))}
                      >
                        ↑
                      </button>
                      <button
                        type="button"
                        aria-label={`Move ${title} right`}
                        disabled={place === shown.length - 1}
                        onClick={() => onChange(moved(columns, key, 1))}
                      >
                        ↓
                      </button>
                    </>
                  )}
                </li>
              );
            })}
          </ul>
          <Button kind="quiet" disabled={columns === null} onClick={() => onChange(null)}>
            Back to the default
          </Button>
        </section>
      )}
    </div>
  );
}
