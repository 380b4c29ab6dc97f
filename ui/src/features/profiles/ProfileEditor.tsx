/** One profile under the hands: its name, its bars, ready-made shapes, groups and plain numbers. */
import { useRef, useState } from "react";
import type { Layout } from "@/api/client";
import { Button, Mark, Note } from "@/components/ui";
import type { Draft } from "./draft";
import { NumberField } from "./NumberField";
import { ProfileChart } from "./ProfileChart";
import {
  followShape,
  formatMultiplier,
  type Limits,
  listText,
  presets,
  readList,
  withGroup,
  withOne,
} from "./profileModel";
import css from "./profiles.module.css";

interface ProfileEditorProps {
  draft: Draft;
  layout: Layout;
  /** What was measured of each block; nulls where nothing was. */
  shape: readonly (number | null)[];
  isUnmeasured: boolean;
  limits: Limits;
  colourOf: (groupKey: string) => string;
  isChanged: boolean;
  isBusy: boolean;
  onDraft: (draft: Draft) => void;
  onSave: () => void;
  onSaveAs: () => void;
  onClose: () => void;
}

export function ProfileEditor(props: ProfileEditorProps) {
  const { draft, layout, shape, isUnmeasured, limits, colourOf, isChanged, isBusy, onDraft } = props;
  const [selected, setSelected] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const set = (weights: readonly number[]) => onDraft({ ...draft, weights });
  const isNamed = draft.name.trim() !== "";
  const block = layout.blocks[selected];
  return (
    <div className={css.editor} ref={frame}>
      <div className={css.bar}>
        <label className={css.nameField}>
          <span>Name</span>
          <input
            type="text"
            value={draft.name}
            maxLength={100}
            autoComplete="off"
            aria-invalid={!isNamed}
            onChange={(event) => onDraft({ ...draft, name: event.target.value })}
          />
        </label>
        <span role="status" className={css.state}>
          {!isNamed ? (
            "A profile needs a name."
          ) : draft.id === null ? (
            <Mark>not saved yet</Mark>
          ) : (
            isChanged && <Mark tone="warn">changes not saved</Mark>
          )}
        </span>
        <div className={css.tools}>
          <Button
            kind="quiet"
            disabled={!isChanged || isBusy}
            onClick={() => onDraft({ ...draft, ...draft.start })}
          >
            Reset
          </Button>
          <Button kind="quiet" onClick={props.onClose}>
            Close
          </Button>
          {draft.id !== null && (
            <Button disabled={isBusy || !isNamed} onClick={props.onSaveAs}>
              Save as new
            </Button>
          )}
          <Button
            kind="primary"
            disabled={isBusy || !isNamed || (draft.id !== null && !isChanged)}
            onClick={props.onSave}
          >
            Save
          </Button>
        </div>
      </div>
      {isUnmeasured && (
        <Note tone="warn" title="Nothing was measured in this file">
          <p>The multipliers can be set, but there are no strengths to go by.</p>
        </Note>
      )}
      <Shapes draft={draft} layout={layout} shape={shape} limits={limits} onWeights={set} />
      {block !== undefined && (
        <p className={css.readout}>
          <b>{block.label}</b>
          <NumberField
            key={selected}
            label={`Multiplier of ${block.label}`}
            value={draft.weights[selected] ?? 1}
            limits={limits}
            fieldRef={field}
            onValue={(value) => set(withOne(draft.weights, selected, value))}
            onEnter={() =>
              frame.current?.querySelector<SVGGElement>(`[data-multiplier="${selected}"]`)?.focus()
            }
          />
          <span>{measuredWords(shape[selected] ?? null, isUnmeasured)}</span>
        </p>
      )}
      <ProfileChart
        weights={draft.weights}
        layout={layout}
        shape={shape}
        limits={limits}
        colourOf={colourOf}
        selected={selected}
        onSelect={setSelected}
        onWeights={set}
        onType={() => field.current?.focus()}
      />
      <p className={css.legend}>
        {shape.some((weight) => weight !== null) && (
          <span>
            <i className={css.shade} /> measured strength, of this file's strongest block
          </span>
        )}
        <span>
          <i className={css.hollow} /> hollow: neutral, 1.0
        </span>
        <span>
          Drag a bar; with Shift, draw over several. Arrow keys step, 0 and 1 set, Enter types, a double click
          is 1.0.
        </span>
      </p>
      <Numbers draft={draft} layout={layout} limits={limits} onWeights={set} />
    </div>
  );
}

function measuredWords(weight: number | null, isUnmeasured: boolean): string {
  if (weight !== null) return `measured ${weight.toFixed(3)} of the strongest block`;
  return isUnmeasured ? "not measured" : "not in this file: its multiplier changes nothing";
}

interface PartProps {
  draft: Draft;
  layout: Layout;
  limits: Limits;
  onWeights: (weights: readonly number[]) => void;
}

/** Ready-made shapes, and one group (or all blocks) at a time. */
function Shapes({ draft, layout, shape, limits, onWeights }: PartProps & Pick<ProfileEditorProps, "shape">) {
  const [key, setKey] = useState("");
  const [amount, setAmount] = useState(0.5);
  const group = layout.groups.find((each) => each.key === key) ?? null;
  const isMeasured = shape.some((weight) => weight !== null);
  return (
    <div className={css.shapes}>
      <div role="group" aria-label="Ready-made shapes">
        {presets(layout.groups, limits).map((preset) => (
          <Button
            key={preset.id}
            kind="quiet"
            title={preset.hint}
            onClick={() => onWeights(preset.make(draft.weights))}
          >
            {preset.title}
          </Button>
        ))}
        {isMeasured && (
          <Button
            kind="quiet"
            title="Shapes the LoRA by its own strengths: strong blocks stay, weak ones are turned down. A choice of shape, not a measurement."
            onClick={() => onWeights(followShape(shape, limits))}
          >
            Shape like the measured strengths
          </Button>
        )}
      </div>
      <div role="group" aria-label="One group at a time">
        <select aria-label="Blocks" value={key} onChange={(event) => setKey(event.target.value)}>
          <option value="">All blocks</option>
          {layout.groups.map((each) => (
            <option key={each.key} value={each.key}>
              {each.title}
            </option>
          ))}
        </select>
        <NumberField label="Amount" value={amount} limits={limits} onValue={setAmount} />
        <Button kind="quiet" onClick={() => onWeights(withGroup(draft.weights, group, () => amount, limits))}>
          Set to {formatMultiplier(amount)}
        </Button>
        <Button
          kind="quiet"
          onClick={() => onWeights(withGroup(draft.weights, group, (weight) => weight * amount, limits))}
        >
          Scale by {formatMultiplier(amount)}
        </Button>
      </div>
    </div>
  );
}

/** The same as numbers: a field a block, and all of them as one list. */
function Numbers({ draft, layout, limits, onWeights }: PartProps) {
  const [isOpen, setOpen] = useState(false);
  const [typed, setTyped] = useState<string | null>(null);
  const read = typed === null ? null : readList(typed, layout.block_count, limits);
  const problem = read !== null && "problem" in read ? read.problem : null;
  return (
    <details className={css.numbers} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Type the numbers</summary>
      {isOpen && (
        <>
          {layout.groups.map((group) => (
            <fieldset key={group.key}>
              <legend>{group.title}</legend>
              {layout.blocks
                .filter((block) => block.group === group.key)
                .map((block) => (
                  <span key={block.block_index} className={css.cell}>
                    <span aria-hidden="true">{block.label}</span>
                    <NumberField
                      label={`${block.label} multiplier`}
                      value={draft.weights[block.block_index] ?? 1}
                      limits={limits}
                      onValue={(value) => onWeights(withOne(draft.weights, block.block_index, value))}
                    />
                  </span>
                ))}
            </fieldset>
          ))}
          <label className={css.all}>
            <span>
              All {layout.block_count}, in order, with commas between; from {limits.lowest} to{" "}
              {limits.highest}
            </span>
            <textarea
              rows={3}
              spellCheck={false}
              aria-invalid={problem !== null}
              value={typed ?? listText(draft.weights)}
              onChange={(event) => {
                setTyped(event.target.value);
                const now = readList(event.target.value, layout.block_count, limits);
                if ("value" in now) onWeights(now.value);
              }}
              onBlur={() => problem === null && setTyped(null)}
            />
          </label>
          {problem !== null && (
            <p role="alert" className={css.listProblem}>
              {problem}{" "}
              <Button kind="quiet" onClick={() => setTyped(null)}>
                Back to the bars
              </Button>
            </p>
          )}
        </>
      )}
    </details>
  );
}
