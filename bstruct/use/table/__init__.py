"Tables as people have them: files, columns, units, encoders and targets."
