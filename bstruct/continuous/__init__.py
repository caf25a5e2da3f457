"What the note on continuous structures needs beside variables, objectives and modes."
