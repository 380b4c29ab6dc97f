/** The small parts every page is made of. They know nothing of LoRAs. */
import { type ButtonHTMLAttributes, type ReactNode, useEffect, useRef, useState } from "react";
import css from "./ui.module.css";

export type Tone = "plain" | "warn" | "bad";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "quiet";
}

export function Button({ kind = "plain", className, ...rest }: ButtonProps) {
  return <button type="button" data-kind={kind} className={`${css.button} ${className ?? ""}`} {...rest} />;
}

/** A word in a frame; the tone only repeats what the word says. */
export function Mark({
  tone = "plain",
  title,
  children,
}: {
  tone?: Tone;
  title?: string;
  children: ReactNode;
}) {
  return (
    <span className={css.mark} data-tone={tone} title={title}>
      {children}
    </span>
  );
}

interface NoteProps {
  tone?: Tone;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
}

/** A message that stays, with an optional way out. */
export function Note({ tone = "plain", title, children, actions }: NoteProps) {
  return (
    <div className={css.note} data-tone={tone} role={tone === "bad" ? "alert" : undefined}>
      <h2>{title}</h2>
      {children}
      {actions && <div className={css.noteActions}>{actions}</div>}
    </div>
  );
}

/** What stands where there is nothing to list. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A grey bar in place of text still on its way; it takes the text's room. */
export function Bone({ width }: { width: number | string }) {
  return <span className={css.bone} style={{ width }} aria-hidden="true" />;
}

async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Pages served over plain HTTP from another machine have no clipboard object; selecting and copying still works.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

interface CopyProps {
  text: string;
  /** What is copied, for the button's name: "Copy trigger word". */
  label: string;
  children?: ReactNode;
}

/** Shows a text and copies it when pressed. */
export function Copy({ text, label, children }: CopyProps) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const press = async () => {
    await copyText(text);
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1400);
  };
  return (
    <button type="button" className={css.copy} onClick={press} title={label}>
      {children ?? text}
      <svg width="12" height="12" viewBox="0 0 12 12" fill="none" stroke="currentColor" aria-hidden="true">
        {copied ? (
          <path d="M2 6.5 4.8 9 10 3" strokeWidth="1.5" />
        ) : (
          <path d="M4.5 4.5v-3h6v6h-3M1.5 4.5h6v6h-6z" />
        )}
      </svg>
      <span className="visually-hidden" aria-live="polite">
        {copied ? "copied" : `(${label})`}
      </span>
    </button>
  );
}

/** The frame of a page that scrolls with the window. */
export function Page({ children }: { children: ReactNode }) {
  return <main className={css.page}>{children}</main>;
}
