"Many fits trained as one batch."
