/** A mill wheel in a race. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path d="M9 9h4v14H9zM14.5 9h4v9h-4zM20 9h4v5h-4z" />
    </svg>
  );
}
