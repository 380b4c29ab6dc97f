/** A small field for one multiplier. What is typed counts at once where it is a number within the limits. */
import { type RefObject, useId, useState } from "react";
import { formatMultiplier, type Limits, readNumber } from "./profileModel";
import css from "./profiles.module.css";

interface NumberFieldProps {
  label: string;
  value: number;
  limits: Limits;
  onValue: (value: number) => void;
  onEnter?: () => void;
  fieldRef?: RefObject<HTMLInputElement | null>;
}

export function NumberField({ label, value, limits, onValue, onEnter, fieldRef }: NumberFieldProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const problemId = useId();
  const read = typed === null ? null : readNumber(typed, limits);
  const problem = read !== null && "problem" in read ? read.problem : null;
  return (
    <span className={css.number}>
      <input
        ref={fieldRef}
        type="text"
        inputMode="decimal"
        autoComplete="off"
        aria-label={label}
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : problemId}
        value={typed ?? formatMultiplier(value)}
        onFocus={(event) => event.target.select()}
        onChange={(event) => {
          setTyped(event.target.value);
          const now = readNumber(event.target.value, limits);
          if ("value" in now) onValue(now.value);
        }}
        onBlur={() => setTyped(null)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" && event.key !== "Escape") return;
          event.preventDefault();
          setTyped(null);
          onEnter?.();
        }}
      />
      {problem !== null && (
        <span id={problemId} role="alert" className={css.problem}>
          {problem}
        </span>
      )}
    </span>
  );
}
