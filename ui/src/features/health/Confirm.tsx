/** A button that asks once more before it does something. */
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui";
import css from "./health.module.css";

interface ConfirmProps {
  /** What the button does, "Forget"; the same word does it in the question. */
  action: string;
  /** What it is done to, for the button's full name. */
  subject: string;
  question: string;
  isBusy: boolean;
  onConfirm: () => void;
}

export function Confirm({ action, subject, question, isBusy, onConfirm }: ConfirmProps) {
  const [asking, setAsking] = useState(false);
  const keep = useRef<HTMLSpanElement>(null);
  const opener = useRef<HTMLSpanElement>(null);
  const wasAsking = useRef(false);
  // The focus goes to the harmless answer, and back to where it came from.
  useEffect(() => {
    if (asking) keep.current?.querySelector("button")?.focus();
    else if (wasAsking.current) opener.current?.querySelector("button")?.focus();
    wasAsking.current = asking;
  }, [asking]);
  if (!asking)
    return (
      <span ref={opener}>
        <Button
          kind="quiet"
          disabled={isBusy}
          aria-label={`${action} ${subject}`}
          onClick={() => setAsking(true)}
        >
          {isBusy ? "Working…" : action}
        </Button>
      </span>
    );
  return (
    <span
      className={css.confirm}
      role="group"
      aria-label={question}
      onKeyDown={(event) => event.key === "Escape" && setAsking(false)}
    >
      <span>{question}</span>
      <Button
        onClick={() => {
          setAsking(false);
          onConfirm();
        }}
      >
        {action}
      </Button>
      <span ref={keep}>
        <Button kind="quiet" onClick={() => setAsking(false)}>
          Cancel
        </Button>
      </span>
    </span>
  );
}
